"""Language models behind any OpenAI-compatible endpoint: what a profile says of one, and how it is talked to.

`endpoint` is what was declared, `table` reads it from a profile, `template` and `shape` are its prompts and schemas;
`chat` is the client, on top of `reading` (what came over the line) and `limits` (pace, pauses, prices), all of them
without I/O; `structured` has an answer held to a shape. The runner is `foa.adapters.runners.openai`. Only `chat`
needs httpx, and imports it when a client is opened.
"""
