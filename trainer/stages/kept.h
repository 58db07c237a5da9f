// Numbers that cost time to find, kept beside the checkpoint of the run that they belong to, for all who ask for the
// same: RUNS/PARENT/FOLDER/KEY, KEY a hash of all that the numbers depend on.
#pragma once
#include "trainer/stages/work.h"

struct kept_numbers {
  const char *folder;   // in the parent's run
  const char magic[8];  // of the file's kind and version
  struct digest key;
  void *bytes;  // the caller's: what is kept, or is to be kept once `make` has made it
  size_t size;
  uint64_t count;  // of what is kept; a file with another count is none of this
  // Makes the numbers. False with an error, or with work->stopped.
  bool (*make)(void *context, struct error *error);
  void *context;
};

// Reads the numbers, or makes and keeps them; the same bits either way. Of several runs at once the first makes them
// and the others wait for it; where it is stopped or killed the next one does. What is kept is written whole or not at
// all, and made anew where it is damaged. False with an error, or with work->stopped.
bool kept_get(struct stage_work *work, const struct kept_numbers *kept, struct error *error);

// Appends what numbers that a parent's model gives depend on: its weights, shape and format, the corpus, the step, what
// computes.
void kept_key_of_model(struct stage_work *work, const struct model_values *values, struct text *text);
