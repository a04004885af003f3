"""The local Slack's page: what a person sees and clicks at `/`.

It renders what the workspace holds and sends what the person does to the control interface. It must not know the bot,
nor change the workspace by itself: the page has no more rights than a script that talks to `/_ctl`.
"""
