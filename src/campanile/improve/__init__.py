"""From a closed experiment to the next campaign, and what all experiments together have taught.

closed      a closed experiment, as its kept readout and evidence tell it
factors     a gap between two products as exact contributions of their factors
diagnosis   plan against actual: which factor failed, and what to look at first
knowledge   one row per campaign, arm and part, out of the kept readouts
learned     rows that answer a question, pooled
belief      what is believed of an effect after a readout and those before it
parts       which parts of the audience are worth writing to
decide      what kind of campaign comes next, and the one factor that changes
outlook     sizes, forecast and budget of the next campaign
proposal    the proposal as a value; pure
draft       the two files of a proposal as plain data
yaml_text   plain data as YAML that our loader reads back, with comments
today       what the customer database, the calendar and the files say today
page        the page of reasons
values      proposal and knowledge as JSON
"""
