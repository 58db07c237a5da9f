// Who has something on a shared file system, without locks: file locks do not reach across all of them. A lease is a
// file NAME-G in a folder, G = 1, 2, ...; the highest G counts. It is made by link(), which either makes it or says
// that it is there, on NFS too; it is never renamed, so that of several who find it given up one alone makes the next.
//
// Its holder rewrites it while it lives. It is given up when it says so, when its process is known to be dead (on the
// same machine), or when it was not rewritten for LEASE_SECONDS by the file server's clock. A holder that finds a
// higher generation has lost it and must stop at once.
#pragma once
#include <stdbool.h>

#include "base/base.h"

enum { LEASE_SECONDS = 60, LEASE_BEAT_SECONDS = 10 };

struct lease {
  const char *folder, *name, *owner, *host;  // live as long as the lease
  int generation, file;
  long long beats;
};

// What a lease says of its holder.
struct lease_holder {
  int generation;   // 0: nobody ever took it
  char owner[128];  // as given to lease_take
  char host[64];
  char said[512];  // at its release; ""
  double age;      // seconds since it was rewritten, by the file server's clock
  bool alive;      // not given up
};

// The time of the file server that holds the folder: that of a file that is written there now. Where nothing can be
// written, our own.
double lease_now(const char *folder);
// Looks, and changes nothing. `now` is from lease_now.
struct lease_holder lease_look(const char *folder, const char *name, double now);

enum lease_answer { LEASE_TAKEN, LEASE_HELD, LEASE_FAILED };
// Takes the lease when nobody has it or its holder has given it up. With `wait`, a holder that may be dead is watched
// until it writes (LEASE_HELD) or has been silent for long enough. `holder` says who has it. LEASE_FAILED comes with
// an error. The texts must outlive the lease.
enum lease_answer lease_take(struct lease *lease, const char *folder, const char *name, const char *owner, bool wait,
                             struct lease_holder *holder, struct error *error);
// That its holder lives, to be called each LEASE_BEAT_SECONDS. False: somebody else has taken it, or it is gone.
bool lease_beat(struct lease *lease);
// Gives it up; `said` (at most 500 bytes) stays in it. Fine on a lease that was lost.
void lease_release(struct lease *lease, const char *said);

// The generation that counts, 0 where there is none.
int generation_last(const char *folder, const char *name);
// Makes FOLDER/NAME-G of this text, whole at once. False without an error when it is there, or a higher one was made
// meanwhile; lower ones are removed.
bool generation_make(const char *folder, const char *name, int generation, const char *text, struct error *error);
