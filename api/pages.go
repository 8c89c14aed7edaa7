package api

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
)

// pages serves the pages for people, who sign in first. They set headers of their
// own.
func (a *app) pages(f *fiber.App) {
	if a.Page == nil {
		return
	}
	for _, path := range a.PagePaths {
		f.Get(path, func(c *fiber.Ctx) error {
			c.Locals(routeKey{}, path)
			token, ok, err := a.visitor(c)
			if !ok {
				return err
			}
			for _, own := range []string{fiber.HeaderContentSecurityPolicy, fiber.HeaderCacheControl, fiber.HeaderReferrerPolicy} {
				c.Response().Header.Del(own)
			}
			return adaptor.HTTPHandler(a.Page(token))(c)
		})
	}
}
