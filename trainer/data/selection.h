// Selected windows of a corpus: which ones, and a corpus whose training windows are these alone. A selection is a file
// (made by the stage `data`, trainer/stages/select.h); trainings that follow it open their corpus through it.
#pragma once
#include "trainer/data/corpus.h"

// Windows are numbers of a stream: number i is the batch of one row of step i under the stream's seed.
struct selection {
  char corpus[40];  // digest
  uint64_t stream;  // seed
  int64_t count;
  int64_t *windows;
  double *weights;  // in proportion to which they are drawn; NULL: each once an epoch
};

// The stream's window: its tokens (see corpus_batch) and its part of the mixture.
struct corpus_batch selection_request(uint64_t stream, int64_t window, int64_t context);

// Writes the file, whole or not at all.
bool selection_write(const struct selection *selection, const char *path, struct error *error);
// Reads it, into the arena. False with what is wrong: not there, damaged.
bool selection_read(const char *path, struct arena *arena, struct selection *selection, struct error *error);
// Makes an open corpus (which it owns from then on) one whose training windows are the selected ones; all else of it is
// as it was. An epoch takes each once, in an order that follows from (seed, epoch); with weights every row is drawn by
// itself, from (seed, step, row). `selection` outlives it. False when it is a selection of another corpus.
bool selection_wrap(struct corpus **corpus, const struct selection *selection, struct error *error);
