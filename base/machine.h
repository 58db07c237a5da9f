// How much memory this machine gives to processes like ours.
#pragma once

// Bytes: the machine's memory (MemTotal, without swap), or the least limit of our control group and those around it
// (version 2: memory.max; version 1: memory.limit_in_bytes) where that is less. INFINITY where the system does not say.
// `limit` (may be NULL): what the number is, in words ("this machine", "this control group").
double memory_usable(const char **limit);
// The same of a system whose /proc and /sys stand under the folder `root` ("": ours).
double memory_usable_under(const char *root, const char **limit);

struct arena;
// The C library and the shared libraries of this program whose files' names have versions, as "glibc 2.36,
// libdnnl 2.6", sorted. In the arena.
const char *machine_libraries(struct arena *arena);
