// The git revision of a folder, and whether what lies there differs from it.
#pragma once
#include <stdbool.h>

#include "base/base.h"

struct revision {
  const char *commit;  // NULL: not known
  bool dirty;          // tracked files of the repository differ, or the folder has files that are not tracked
  const char *first;   // the first of these, relative to the repository; NULL where there is none
  const char *why;     // why the commit is not known, in words; NULL where it is
};

// Asks git about the folder's repository. `apart` (NULL: nothing) is a folder whose files do not count: the home, which
// runs fill. Untracked files count in `folder` and below, ignored ones never. Texts are the arena's.
void revision_find(const char *folder, const char *apart, struct arena *arena, struct revision *revision);

// The same of a custom trainer's source: the folder of the first word of its command that is a file in a
// repository, the program itself last. False where no word is.
bool revision_of_command(const char *const *command, size_t count, const char *apart, struct arena *arena,
                         struct revision *revision);
