"""The cluster engine: the same kernel and the same joins on Apache Spark, for the extra ``spark``.

Imported only where a monitor asks for it.
"""
