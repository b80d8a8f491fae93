DELETE FROM undispatched WHERE sequence IN (VALUES ($1))
