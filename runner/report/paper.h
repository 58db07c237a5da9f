// Figures of a report as files for papers and slides.
#pragma once
#include "base/options.h"
#include "runner/report/data.h"

struct paper {
  const char *folder;
  struct figure_print print;
  bool formats[FIGURE_FORMATS];
  bool data;                  // also NAME.csv and NAME.gp, a script to edit
  struct option_list labels;  // "x=...", "y=...", "title=...", "legend=..."
};

// What a user writes: "column" (3.3 inches), "text" (5.5), "slide" (10, with text of 16 points unless `text` is set),
// or a length in in, cm, mm, pt. Sets the print's width and text; `text` in points, 0: not asked for. False with an
// error for others, and for widths into which text of that size does not fit.
bool paper_width(struct paper *paper, const char *width, double text, struct error *error);
// "pdf,svg": sets `formats`.
bool paper_formats(struct paper *paper, const char *formats, struct error *error);
// Checks the labels.
bool paper_labels(const struct paper *paper, struct error *error);
extern const char *const paper_legends[];  // "auto", "right", "below", "none", NULL
bool paper_legend(struct paper *paper, const char *legend, struct error *error);

// Writes the figure's files into the folder, which is made where it is missing; appends their paths to `paths` (grown
// in the arena).
struct paper_files {
  const char **paths;
  size_t count;
};
bool paper_write(const struct paper *paper, const struct figure *figure, struct arena *arena, struct paper_files *files,
                 struct error *error);
