package door

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ignored are parameters of requests that are no settings, or that ask for what
// the door does by itself.
var ignored = []string{
	"user", "password", "query_id", "session_id", "session_timeout", "session_check", "quota_key", "stacktrace", "role",
	"client_protocol_version", "compress", "decompress", "enable_http_compression", "http_zlib_compression_level",
	"network_compression_method", "network_zstd_compression_level", "add_http_cors_header", "wait_end_of_query", "buffer_size",
	"http_write_exception_in_output_format", "http_response_buffer_size", "http_make_head_request", "http_headers_progress_interval_ms",
	"send_progress_in_http_headers", "cancel_http_readonly_queries_on_client_close", "log_queries", "log_comment", "readonly",
	"log_query_settings", "use_client_time_zone", "async_insert", "send_logs_level", "http_receive_timeout", "http_send_timeout",
}

// free are settings that change how a statement is understood or how its result
// is written, and nothing else. output_format_* are free, too, but one.
var free = []string{
	"allow_experimental_analyzer", "enable_analyzer", "join_use_nulls", "join_algorithm", "group_by_use_nulls", "aggregate_functions_null_for_empty",
	"transform_null_in", "union_default_mode", "intersect_default_mode", "except_default_mode", "prefer_column_name_to_alias", "any_join_distinct_right_table_keys",
	"extremes", "totals_mode", "limit", "offset", "max_block_size", "session_timezone", "date_time_input_format", "date_time_output_format", "final",
	"optimize_read_in_order", "optimize_aggregation_in_order", "optimize_move_to_prewhere", "use_query_cache", "use_query_condition_cache", "do_not_merge_across_partitions_select_final",
	"format_csv_delimiter", "format_csv_null_representation", "format_tsv_null_representation", "bool_true_representation", "bool_false_representation",
	"format_custom_field_delimiter", "low_cardinality_allow_in_native_format", "cross_to_inner_join_rewrite", "short_circuit_function_evaluation",
	"empty_result_for_aggregation_by_empty_set", "allow_suspicious_low_cardinality_types", "max_rows_to_group_by", "group_by_overflow_mode", "result_overflow_mode",
	"max_rows_to_read", "read_overflow_mode", "timeout_overflow_mode", "cast_string_to_dynamic_use_inference",
}

// lowered are limits: a request may lower them.
var lowered = []string{"max_execution_time", "max_memory_usage", "max_result_rows", "max_result_bytes", "max_threads"}

// A setting's name is written into a statement, and a format's is handed to the
// engine: neither may be more than a name.
var (
	settingName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	formatName  = regexp.MustCompile(`^[A-Za-z0-9]+$`)
)

// checkSetting returns the setting as it is to be set, or a refusal. The limits
// are the door's own.
func checkSetting(name, value string, limits map[string]string) (string, error) {
	switch {
	case !settingName.MatchString(name):
		return "", refusal(codeUnknownSetting, "Setting %s is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings", name)
	case slices.Contains(lowered, name):
		return lower(name, value, limits[name])
	case slices.Contains(free, name), strings.HasPrefix(name, "output_format_") && name != "output_format_schema":
		return value, nil
	}
	return "", refusal(codeConstraint, "Setting %s should not be changed through the door", name)
}

// lower returns the value, or the limit when that is less; 0 and "" mean no limit.
func lower(name, value, limit string) (string, error) {
	if value == "" {
		return limit, nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || v < 0 {
		return "", refusal(codeBadArguments, "Setting %s: %q is no number", name, value)
	}
	most, err := strconv.ParseFloat(limit, 64)
	if err == nil && most > 0 && (v == 0 || v > most) {
		return limit, nil
	}
	return value, nil
}

// checkClause looks at name = value, name = value behind the word SETTINGS in a
// statement. What is no such list belongs to a column of that name.
func checkClause(tokens []token) error {
	for len(tokens) >= 3 && tokens[0].name() && tokens[1].kind == '=' {
		name := tokens[0].text
		if slices.Contains(lowered, name) {
			return refusal(codeConstraint, "Setting %s is not for a statement through the door; give it as a parameter of the request", name)
		}
		if _, err := checkSetting(name, "", nil); err != nil {
			return err
		}
		tokens = tokens[2:]
		for len(tokens) > 0 && tokens[0].kind != ',' {
			tokens = tokens[1:]
		}
		if len(tokens) > 0 {
			tokens = tokens[1:]
		}
	}
	return nil
}
