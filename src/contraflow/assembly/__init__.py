"""Assembly: definitions and plugins become runnable steps. Every name is resolved here; nothing is lazy.

A job that names something that nobody provides, or whose options contradict what the connector can do, does not come out of
here, and so never starts.
"""

from __future__ import annotations

from contraflow.assembly.job import assemble, job_names, references_between, unresolved
from contraflow.assembly.runnable import RunnableJob, RunnableStep, Stage, unknown_parameters

__all__ = [
    "RunnableJob",
    "RunnableStep",
    "Stage",
    "assemble",
    "job_names",
    "references_between",
    "unknown_parameters",
    "unresolved",
]
