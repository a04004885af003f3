"""A local Slack: the Web API, Socket Mode, HTTP mode, a page for people, and controls for tests."""
