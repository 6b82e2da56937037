"""What makes a sync happen by itself: sensors, schedules, ticks, upkeep, alerts."""
