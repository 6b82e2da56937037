"""Names of tags on runs, ours and the one of Dagster's that says which source system a run is over."""

PARTITION = "dagster/partition"
# Who started a run: the command line goes on with the backlog itself and tells the alert webhook itself.
LAUNCHED_BY = "kb/launched_by"
COMMAND_LINE = "cli"
# Why a sensor or schedule launched a run.
WHY = "kb/why"
# Set on runs of `kb sync --key`: they take on the keys named and nothing else.
KEYS_ONLY = "kb/keys_only"
