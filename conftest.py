"""Which modules tests leave alone here: those of an engine that is not installed, as Spark is by default."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("pyspark") else ["src/campanile/customers/engine/spark.py"]
