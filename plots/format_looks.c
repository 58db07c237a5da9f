// The look of a format follows from its name, so that it is the same in every figure of every experiment.
#include <string.h>

#include "plots/build.h"

enum { HUES = 7, SHAPES = 6 };  // the eighth colour is grey

// Formats that are often compared with each other have looks that differ much.
static const struct {
  const char *name;
  int hue, shape;
} chosen[] = {
    {"w4a4", 0, 0},    {"w4", 1, 1},  {"w2a2", 3, 3},      {"w8a8", 5, 2}, {"w3a3", 2, 2},  {"w3", 4, 3},
    {"w2", 6, 4},      {"w8", 5, 5},  {"w1", 3, 5},        {"w1a1", 6, 5}, {"mxfp4", 2, 1}, {"nvfp4", 4, 0},
    {"quartet", 1, 4}, {"2:4", 6, 2}, {"fp8-mixed", 5, 4}, {"nf4", 3, 1},
};

static unsigned hash_of(const char *name) {
  unsigned hash = 2166136261u;  // FNV-1a
  for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  return hash;
}

struct look format_look(const char *name) {
  if (strcmp(name, "none") == 0) return (struct look){{.palette = PALETTE_INK}, 0};
  for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
    if (strcmp(chosen[i].name, name) == 0) return (struct look){{PALETTE_CATEGORY, chosen[i].hue, 0}, chosen[i].shape};
  unsigned hash = hash_of(name);
  return (struct look){{PALETTE_CATEGORY, (int)(hash % HUES), 0}, (int)(hash / HUES % SHAPES)};
}

struct look *format_looks(struct arena *arena, const char *const *names, size_t count) {
  struct look *looks = arena_array(arena, count + 1, sizeof *looks);
  for (size_t i = 0; i < count; i++) {
    looks[i] = format_look(names[i]);
    // Two formats of one colour and one mark: the later one gets another mark.
    for (int turn = 0; turn < SHAPES; turn++) {
      bool taken = false;
      for (size_t k = 0; k < i; k++)
        taken |= looks[k].colour.palette == looks[i].colour.palette && looks[k].colour.index == looks[i].colour.index &&
                 looks[k].shape == looks[i].shape;
      if (!taken) break;
      looks[i].shape = (looks[i].shape + 1) % SHAPES;
    }
  }
  return looks;
}

const char *figure_format_variable(const char *format) { return ink_of(format_look(format).colour)->name; }
