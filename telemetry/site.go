package telemetry

import (
	"fmt"
	"time"
)

// Unassigned is the site of devices that registered themselves.
const Unassigned = "unassigned"

// SiteStatus says whether a site is in business.
type SiteStatus string

// The states of a site.
const (
	SiteOpen   SiteStatus = "open"
	SiteClosed SiteStatus = "closed" // shut for good or for long
	SiteRefit  SiteStatus = "refit"  // being rebuilt
)

// Site is a place with devices, in one time zone.
type Site struct {
	ID         string            `json:"id" yaml:"id"`     // what others refer to it by; 1 to 128 bytes
	Name       string            `json:"name" yaml:"name"` // what people call it
	Zone       string            `json:"zone" yaml:"zone"` // IANA name, such as Europe/Paris
	Status     SiteStatus        `json:"status" yaml:"status"`
	Hours      Hours             `json:"hours,omitempty" yaml:"hours,omitempty"`
	Exceptions []Exception       `json:"exceptions,omitempty" yaml:"exceptions,omitempty"`
	Holidays   Holidays          `json:"holidays,omitzero" yaml:"holidays,omitempty"`
	Labels     map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	Contact    string            `json:"contact,omitempty" yaml:"contact,omitempty"` // the site manager's e-mail address
}

// DeviceStatus says whether a device is expected to speak.
type DeviceStatus string

// The states of a device.
const (
	DeviceActive  DeviceStatus = "active"
	DeviceRetired DeviceStatus = "retired"
)

// Device is a people counter.
type Device struct {
	Name           string            `json:"name" yaml:"name"`
	Site           string            `json:"site" yaml:"site"` // Site.ID
	Status         DeviceStatus      `json:"status" yaml:"status"`
	Labels         map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	HeartbeatEvery int               `json:"heartbeat_every" yaml:"heartbeat_every"` // seconds between heartbeats; 0: it sends none
	ReadingEvery   int               `json:"reading_every" yaml:"reading_every"`     // seconds between counts
	InServiceSince time.Time         `json:"in_service_since,omitzero" yaml:"in_service_since,omitempty"`
	RetiredAt      time.Time         `json:"retired_at,omitzero" yaml:"retired_at,omitempty"`
	SelfRegistered bool              `json:"self_registered,omitempty" yaml:"-"`
}

// InService reports whether the device is expected to speak at that instant.
func (d *Device) InService(at time.Time) bool {
	if at.Before(d.InServiceSince) {
		return false
	}
	return d.RetiredAt.IsZero() && d.Status != DeviceRetired || at.Before(d.RetiredAt)
}

// Check fills in the defaults and returns what is wrong with the site, or nil.
func (s *Site) Check() error {
	if s.ID == "" || len(s.ID) > 128 {
		return fmt.Errorf("a site needs an id of 1 to 128 bytes; got %q", s.ID)
	}
	if s.Name == "" {
		s.Name = s.ID
	}
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
		return fmt.Errorf("site %s: no time zone %q; use an IANA name such as Europe/Paris", s.ID, s.Zone)
	}
	switch s.Status {
	case "":
		s.Status = SiteOpen
	case SiteOpen, SiteClosed, SiteRefit:
	default:
		return fmt.Errorf("site %s: status %q; want open, closed or refit", s.ID, s.Status)
	}
	for i := range s.Exceptions {
		if err := s.Exceptions[i].Check(); err != nil {
			return fmt.Errorf("site %s: %w", s.ID, err)
		}
	}
	if err := s.Holidays.Check(); err != nil {
		return fmt.Errorf("site %s: %w", s.ID, err)
	}
	return nil
}

// Check fills in the defaults and returns what is wrong with the device, or nil.
func (d *Device) Check() error {
	if err := CheckDeviceName(d.Name); err != nil {
		return err
	}
	if d.Site == "" {
		d.Site = Unassigned
	}
	switch d.Status {
	case "":
		d.Status = DeviceActive
	case DeviceActive, DeviceRetired:
	default:
		return fmt.Errorf("device %s: status %q; want active or retired", d.Name, d.Status)
	}
	if d.HeartbeatEvery < 0 || d.ReadingEvery < 0 {
		return fmt.Errorf("device %s: an interval can't be negative", d.Name)
	}
	if d.ReadingEvery == 0 {
		d.ReadingEvery = DefaultInterval
	}
	return nil
}
