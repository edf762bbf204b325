"""The grammar `llmdeploy ENV ACTION`: parses, calls one verb, hands its result to the view."""
