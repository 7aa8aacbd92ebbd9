"""What people and providers answer: collected raw, understood afterwards, counted once.

`service` takes requests and keeps what they say before it answers. `process` understands what was kept. `fold` says
what became of a message. Nothing here measures an effect: that is done by assignment, in `measure`.
"""
