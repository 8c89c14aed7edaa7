package api

import (
	"context"
	"time"

	"belfry/incidents"
)

// quantum is what the time of a refusal is rounded up to, for those who don't see
// everything. Looking up what is hidden takes some tens of microseconds longer
// than looking up what does not exist; rounded up, both take the same.
const quantum = 5 * time.Millisecond

// level waits until the time since began is a multiple of quantum, when the
// answer's time could tell what is there.
func level(ctx context.Context, token incidents.Token, status int, began time.Time) {
	seesAll := token.Site == "" && token.Role.OnDesk() || token.Role == incidents.DeviceRole // which sees nothing
	if seesAll || status < 400 || status >= 500 {
		return
	}
	took := time.Since(began)
	wait := time.NewTimer((took/quantum+1)*quantum - took)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
