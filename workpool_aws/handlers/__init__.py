"""Lambda handlers of the deployment. Each decodes its event and calls one driver."""
