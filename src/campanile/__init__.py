"""Campanile: a committed YAML campaign becomes a randomised experiment, sent once and read honestly.

The rooms follow the way of the data, and imports go down only:

    cli                                          arguments and printing
    rehearsal                                    a whole campaign against simulated customers
    improve                                      what every readout teaches: the next campaign
    registry  replay                             every experiment and readout; A/A on the shop's own history
    sending  readout  responses                  what happens, and what comes back
    plan                                         frozen value, explained
    audience  design  messages  measure  report  relation or numbers in, value out
    customers  ledger  channels                  the edges: engine, database, providers
    spec                                         what marketers and analysts commit
    events  money  clock  errors                 words: frozen types, no effects
"""

__version__ = "0.1.0"
