package holidays

import (
	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/au"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/bg"
	"github.com/rickar/cal/v2/br"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/ch"
	"github.com/rickar/cal/v2/cy"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/ee"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fi"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/gr"
	"github.com/rickar/cal/v2/hr"
	"github.com/rickar/cal/v2/hu"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/is"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/ke"
	"github.com/rickar/cal/v2/lt"
	"github.com/rickar/cal/v2/lu"
	"github.com/rickar/cal/v2/lv"
	"github.com/rickar/cal/v2/mt"
	"github.com/rickar/cal/v2/mw"
	"github.com/rickar/cal/v2/nc"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/pt"
	"github.com/rickar/cal/v2/ro"
	"github.com/rickar/cal/v2/rs"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/si"
	"github.com/rickar/cal/v2/sk"
	"github.com/rickar/cal/v2/us"
	"github.com/rickar/cal/v2/za"
)

// Place is a country or a part of one.
type Place struct {
	Code string // ISO 3166-1 or 3166-2, such as US or AU-VIC
	Name string // the country, and the part behind a comma

	list []*cal.Holiday
}

// places are what the library has, but for the lists that differ in a third or more of
// their days, from 2014 to 2027, from a second source (the Python package holidays 0.109):
// those of Argentina, Mexico, Russia, Thailand, Ukraine, all Switzerland (what any canton
// has) and six of its cantons. That of the United Kingdom is of England and Wales alone.
var places = []Place{
	{"AT", "Austria", at.Holidays},
	{"AU-ACT", "Australia, Australian Capital Territory", au.HolidaysACT},
	{"AU-NSW", "Australia, New South Wales", au.HolidaysNSW},
	{"AU-NT", "Australia, Northern Territory", au.HolidaysNT},
	{"AU-QLD", "Australia, Queensland", au.HolidaysQLD},
	{"AU-SA", "Australia, South Australia", au.HolidaysSA},
	{"AU-TAS", "Australia, Tasmania", au.HolidaysTAS},
	{"AU-VIC", "Australia, Victoria", au.HolidaysVIC},
	{"AU-WA", "Australia, Western Australia", au.HolidaysWA},
	{"BE", "Belgium", be.Holidays},
	{"BG", "Bulgaria", bg.Holidays},
	{"BR", "Brazil", br.Holidays},
	{"CA", "Canada", ca.Holidays},
	{"CH-AG", "Switzerland, Aargau", ch.HolidaysAG},
	{"CH-AI", "Switzerland, Appenzell Innerrhoden", ch.HolidaysAI},
	{"CH-AR", "Switzerland, Appenzell Ausserrhoden", ch.HolidaysAR},
	{"CH-BE", "Switzerland, Bern", ch.HolidaysBE},
	{"CH-BL", "Switzerland, Basel-Landschaft", ch.HolidaysBL},
	{"CH-BS", "Switzerland, Basel-Stadt", ch.HolidaysBS},
	{"CH-GL", "Switzerland, Glarus", ch.HolidaysGL},
	{"CH-JU", "Switzerland, Jura", ch.HolidaysJU},
	{"CH-NE", "Switzerland, Neuchâtel", ch.HolidaysNE},
	{"CH-NW", "Switzerland, Nidwalden", ch.HolidaysNW},
	{"CH-OW", "Switzerland, Obwalden", ch.HolidaysOW},
	{"CH-SG", "Switzerland, St. Gallen", ch.HolidaysSG},
	{"CH-SH", "Switzerland, Schaffhausen", ch.HolidaysSH},
	{"CH-SZ", "Switzerland, Schwyz", ch.HolidaysSZ},
	{"CH-TG", "Switzerland, Thurgau", ch.HolidaysTG},
	{"CH-TI", "Switzerland, Ticino", ch.HolidaysTI},
	{"CH-UR", "Switzerland, Uri", ch.HolidaysUR},
	{"CH-VD", "Switzerland, Vaud", ch.HolidaysVD},
	{"CH-VS", "Switzerland, Valais", ch.HolidaysVS},
	{"CH-ZH", "Switzerland, Zurich", ch.HolidaysZH},
	{"CY", "Cyprus", cy.Holidays},
	{"CZ", "Czechia", cz.Holidays},
	{"DE", "Germany", de.Holidays},
	{"DE-BB", "Germany, Brandenburg", de.HolidaysBB},
	{"DE-BE", "Germany, Berlin", de.HolidaysBE},
	{"DE-BW", "Germany, Baden-Württemberg", de.HolidaysBW},
	{"DE-BY", "Germany, Bavaria", de.HolidaysBY},
	{"DE-HB", "Germany, Bremen", de.HolidaysHB},
	{"DE-HE", "Germany, Hesse", de.HolidaysHE},
	{"DE-HH", "Germany, Hamburg", de.HolidaysHH},
	{"DE-MV", "Germany, Mecklenburg-Western Pomerania", de.HolidaysMV},
	{"DE-NI", "Germany, Lower Saxony", de.HolidaysNI},
	{"DE-NW", "Germany, North Rhine-Westphalia", de.HolidaysNW},
	{"DE-RP", "Germany, Rhineland-Palatinate", de.HolidaysRP},
	{"DE-SH", "Germany, Schleswig-Holstein", de.HolidaysSH},
	{"DE-SL", "Germany, Saarland", de.HolidaysSL},
	{"DE-SN", "Germany, Saxony", de.HolidaysSN},
	{"DE-ST", "Germany, Saxony-Anhalt", de.HolidaysST},
	{"DE-TH", "Germany, Thuringia", de.HolidaysTH},
	{"DK", "Denmark", dk.Holidays},
	{"EE", "Estonia", ee.Holidays},
	{"ES", "Spain", es.Holidays},
	{"FI", "Finland", fi.Holidays},
	{"FR", "France", fr.Holidays},
	{"GB-ENG", "United Kingdom, England", gb.Holidays},
	{"GB-WLS", "United Kingdom, Wales", gb.Holidays},
	{"GR", "Greece", gr.Holidays},
	{"HR", "Croatia", hr.Holidays},
	{"HU", "Hungary", hu.Holidays},
	{"IE", "Ireland", ie.Holidays},
	{"IS", "Iceland", is.Holidays},
	{"IT", "Italy", it.Holidays},
	{"JP", "Japan", jp.Holidays},
	{"KE", "Kenya", ke.Holidays},
	{"LT", "Lithuania", lt.Holidays},
	{"LU", "Luxembourg", lu.Holidays},
	{"LV", "Latvia", lv.Holidays},
	{"MT", "Malta", mt.Holidays},
	{"MW", "Malawi", mw.Holidays},
	{"NC", "New Caledonia", nc.Holidays},
	{"NL", "Netherlands", nl.Holidays},
	{"NO", "Norway", no.Holidays},
	{"NZ", "New Zealand", nz.Holidays},
	{"PL", "Poland", pl.Holidays},
	{"PT", "Portugal", pt.Holidays},
	{"RO", "Romania", ro.Holidays},
	{"RS", "Serbia", rs.Holidays},
	{"SE", "Sweden", se.Holidays},
	{"SI", "Slovenia", si.Holidays},
	{"SK", "Slovakia", sk.Holidays},
	{"US", "United States", us.Holidays},
	{"ZA", "South Africa", za.Holidays},
}
