package api

import (
	"time"

	"belfry/incidents"
)

// deskRoutes are the paths of what the desk lays down, remembers and tells.
func (a *app) deskRoutes() {
	documents(a, "/categories", incidents.CategoryDocument, managers, func(c *incidents.Category, id, _ string) { c.ID = id })
	documents(a, "/questionnaires", incidents.QuestionnaireDocument, managers, func(q *incidents.Questionnaire, id, _ string) { q.ID = id })
	documents(a, "/matrices", incidents.MatrixDocument, managers, func(m *incidents.PriorityMatrix, id, _ string) { m.ID = id })
	documents(a, "/articles", incidents.ArticleDocument, desk, func(x *incidents.Article, id, _ string) { x.ID = id },
		readBy(watchers, func(who incidents.Actor, x *incidents.Article) bool {
			return x.Public || who.Role.OnDesk() || who.Role == incidents.NOC
		}))

	route(a, "GET", "/incidents/{ref}/guide", watchers, "What helps with an incident: what to ask, what to read, how the like was solved", a.getGuide, fails(404))
	route(a, "GET", "/incidents/{ref}/actions/{action}", watchers, "One action, with its questions", a.getAction, fails(404))
	route(a, "POST", "/incidents/{ref}/actions/{action}/answers", reporters, "Answer what an action asks", a.postAnswers, fails(404, 409, 412))
	route(a, "GET", "/actions", watchers, "List what people were asked and have not done, what is due first", a.listActions)
	route(a, "GET", "/search", watchers, "Search articles, known errors and solved incidents, the best first", a.search)

	route(a, "GET", "/history", watchers, "What happened at a site, to a device, or to what a person reported, the newest first", a.getHistory)

	route(a, "GET", "/problems", staff, "List problems, the newest first", a.listProblems)
	route(a, "POST", "/problems", desk, "Write down a problem", a.postProblem, status(201))
	route(a, "GET", "/problems/{problem}", staff, "One problem", a.getProblem, fails(404))
	route(a, "PATCH", "/problems/{problem}", desk, "Change a problem, or move it on", a.patchProblem, fails(404, 412, 428))

	route(a, "GET", "/announcements", viewers, "List announcements, the newest first", a.listAnnouncements)
	route(a, "POST", "/announcements", desk, "Draft an announcement", a.postAnnouncement, status(201))
	route(a, "GET", "/announcements/{announcement}", viewers, "One announcement", a.getAnnouncement, fails(404))
	route(a, "PATCH", "/announcements/{announcement}", desk, "Change a draft, or withdraw it", a.patchAnnouncement, fails(404, 409, 412, 428))
	route(a, "POST", "/announcements/{announcement}/updates", desk, "Tell the subscribers; the first time publishes it", a.postUpdate, fails(404, 409, 412))

	route(a, "GET", "/reports", staff, "Figures of the incidents that were opened in a span", a.getReport, spreadsheet(figureColumns...), patience(5*time.Minute))
}
