"""The manager's HTTP service: what people and programs read of the dead letters. FastAPI and uvicorn are imported here only.

    from recovery.manager.web.app import Service, make_app
    from recovery.manager.web.server import WebServer

app         the application, made of its routes      server      listens, on a thread of its own
service     what the routes are made from            guard       what every request passes: host, headers, limits, log
problems    what an error is answered with           openapi     the description that programs read
messages, overview, health                           the routes; message_models, overview_models: what they answer
alias_messages, alias_stats, alias_models            the paths and fields that such tools have had
bodies      reading stored bodies, and recording it  parameters, moments   what several of these share
"""
