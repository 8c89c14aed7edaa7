package dashboards

import (
	"fmt"
	"path/filepath"
)

// provisioning returns Grafana's provisioning files by name. The addresses are
// belfry's and Prometheus' defaults; the password comes from the environment of
// Grafana.
func provisioning(folder string) map[string]string {
	return map[string]string{
		filepath.Join("provisioning", "dashboards", "belfry.yaml"):  fmt.Sprintf(provider, folder),
		filepath.Join("provisioning", "datasources", "belfry.yaml"): datasources,
	}
}

const provider = `# Grafana reads the dashboards from this folder. Moved it? Change the path.
apiVersion: 1
providers:
  - name: belfry
    folder: belfry
    type: file
    allowUiUpdates: false
    updateIntervalSeconds: 30
    options:
      path: %q
`

const datasources = `# ClickHouse: belfry's own door, or the servers that its configuration names.
# Set BELFRY_CLICKHOUSE_USER and BELFRY_CLICKHOUSE_PASSWORD for Grafana.
apiVersion: 1
datasources:
  - name: belfry ClickHouse
    uid: belfry-clickhouse
    type: grafana-clickhouse-datasource
    jsonData:
      host: 127.0.0.1
      port: 8123
      protocol: http
      username: $BELFRY_CLICKHOUSE_USER
      defaultDatabase: belfry_default
    secureJsonData:
      password: $BELFRY_CLICKHOUSE_PASSWORD
  - name: belfry Prometheus
    uid: belfry-prometheus
    type: prometheus
    access: proxy
    url: http://127.0.0.1:9090
    jsonData:
      timeInterval: 15s
`
