package main

import (
	"belfry/api"
	"belfry/incidents/store"
)

// signing gives the API what people sign in with, and what it keeps of them.
func (w *watch) signing(parts *api.Parts) {
	parts.Sessions, parts.URL = w.control, w.config.URL
	parts.Answers = store.NewAnswers(w.tickets, w.control)
}
