package door

import (
	"fmt"
	"net/http"

	"belfry/warehouse/chdb"
)

// ClickHouse's codes for what the door itself refuses.
const (
	codeBadArguments   = 36
	codeUnknownFormat  = 73
	codeSyntax         = 62
	codeUnknownDB      = 81
	codeReadonly       = 164
	codeTooMany        = 202
	codeUnknownSetting = 115
	codeConstraint     = 452
	codeAccess         = 497
	codeDenied         = 516
	codeNotImplemented = 48
	codeUnknown        = 1002
	codeTooLarge       = 396
)

var codeNames = map[int]string{
	codeBadArguments: "BAD_ARGUMENTS", codeUnknownFormat: "UNKNOWN_FORMAT", codeSyntax: "SYNTAX_ERROR", codeUnknownDB: "UNKNOWN_DATABASE",
	codeReadonly: "READONLY", codeTooMany: "TOO_MANY_SIMULTANEOUS_QUERIES", codeUnknownSetting: "UNKNOWN_SETTING",
	codeConstraint: "SETTING_CONSTRAINT_VIOLATION", codeAccess: "ACCESS_DENIED", codeDenied: "AUTHENTICATION_FAILED",
	codeNotImplemented: "NOT_IMPLEMENTED", codeUnknown: "UNKNOWN_EXCEPTION", codeTooLarge: "TOO_MANY_ROWS_OR_BYTES",
}

// refusal makes an error as the engine writes its own.
func refusal(code int, format string, args ...any) *chdb.Error {
	return &chdb.Error{Code: code, Message: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

// status returns the HTTP status that ClickHouse gives an error of this code.
func status(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, codeDenied, 512: // UNKNOWN_USER, WRONG_PASSWORD, SET_NON_GRANTED_ROLE
		return http.StatusForbidden
	case 6, 27, 38, 41, 42, 43, 53, 69, 72, 117, 131, 321, 456, 457, codeBadArguments, codeSyntax, codeAccess, codeReadonly, codeConstraint:
		return http.StatusBadRequest
	case 46, 47, 50, 60, 63, 81, 115, codeUnknownFormat: // unknown function, identifier, type, table, aggregate, database, setting
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeTooMany:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
