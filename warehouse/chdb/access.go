package chdb

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// readerRole returns the name of the role that may read the database.
func readerRole(database string) string { return "reader_" + database }

var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// accessFile writes the file with which the engine boots: the one user there is
// holds the role of the program itself, which may do everything, and a role for
// each database that may read it alone. A session that has chosen the latter is
// held to it by the engine. Backups may go to any folder of the machine, since
// only the program may make them. All roles are granted at once: one after the
// other, a thousand of them cost the start half a second. The options are for the first connection;
// remove is to be called once it stands.
func accessFile(databases []string) (options []string, remove func(), err error) {
	var roles strings.Builder
	granted := []string{"everything"}
	for _, db := range databases {
		if !databaseName.MatchString(db) {
			return nil, nil, fmt.Errorf("readers of database %q: not a name for a role", db)
		}
		role := readerRole(db)
		fmt.Fprintf(&roles, "<%s><grants><query>GRANT SELECT, SHOW ON %s.*</query></grants></%s>\n", role, db, role)
		granted = append(granted, role)
	}
	f, err := os.CreateTemp("", "belfry-engine-*.xml")
	if err != nil {
		return nil, nil, fmt.Errorf("write the engine's roles: %w", err)
	}
	defer f.Close()
	remove = func() { _ = os.Remove(f.Name()) }
	if _, err := fmt.Fprintf(f, accessXML, f.Name(), roles.String(), strings.Join(granted, ", ")); err != nil {
		remove()
		return nil, nil, fmt.Errorf("write the engine's roles: %w", err)
	}
	return []string{"--config-file=" + f.Name()}, remove, nil
}

const accessXML = `<clickhouse>
<backups><allowed_path>/</allowed_path></backups>
<users_config>%s</users_config>
<profiles><default></default></profiles>
<quotas><default></default></quotas>
<roles>
<everything><grants><query>GRANT ALL ON *.*</query></grants></everything>
%s</roles>
<users><default>
<password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants><query>GRANT %s</query></grants>
</default></users>
</clickhouse>
`
