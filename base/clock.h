// The clocks, in seconds.
#pragma once

double clock_seconds(void);         // for durations: never set back; from an arbitrary start
double clock_thread_seconds(void);  // the CPU time of the calling thread: what others on the machine do adds nothing
double clock_wall(void);            // since 1970 (UTC)
