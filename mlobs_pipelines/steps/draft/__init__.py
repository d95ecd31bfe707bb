"""From sample files of a model to a draft of its contracts and monitor, and its first landing zone.

`samples` reads files, `columns` finds out what each column is, `planning` and `truth` what the model is,
`documents` and `monitor` write it down, `landing` brings rows into the form that contracts promise. Nothing
here is part of the daily walk.
"""
