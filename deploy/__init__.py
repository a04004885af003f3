"""What it takes to run the bot: manifests, and a whole incident on one machine (``deploy.local``)."""
