// Which format gives the lowest loss over a plane, drawn as one region a format.
#pragma once
#include "plots/build.h"

struct plane;
// The loss of a format (its index in `names`) at a place of the plane; NAN where it is not known.
typedef double plane_loss(const struct plane *plane, size_t format, double x, double y);
struct plane {
  const struct plot_data *data;
  const char **names;
  size_t count;  // of formats
  plane_loss *loss;
  const void *context;     // of `loss`
  double low[2], high[2];  // ends of the logarithmic axes
  double runs[4];          // what the runs span: low and high in x, then in y
};
// Adds the regions to the panel (the last one added), then the frame of the runs and, with `hatched`, lines over what
// is outside it. `wins` (one a format): set to whether it has a region. False when no format has a loss anywhere.
bool plane_draw(struct drawing *drawing, const struct plane *plane, bool hatched, bool *wins);
// The figure's axes over the plane: `x`, and training tokens.
void plane_axes(struct figure *figure, const struct plane *plane, struct figure_axis x);
