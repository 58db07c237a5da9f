// Figures of compute-optimal sizes: IsoFLOP curves with their minima, and the optima against compute.
#pragma once
#include "plots/plots.h"

struct plot_isoflop_budget {
  double flops;
  size_t count;
  const double *parameters, *loss;  // [count]
  size_t curve_count;
  const double *curve_parameters, *curve_loss;  // the fitted curve
  bool rejected;
  double optimum, low, high, optimum_loss;  // size, its interval, the loss there; not read when rejected
};

struct plot_isoflop {
  const struct plot_isoflop_budget *budgets;
  size_t count;
  double coefficient, exponent;  // N* = coefficient C^exponent; NAN: no line
  struct measures measures;      // what sizes, losses and compute are called
};

// All of the figure is owned by the arena. False when there is nothing to draw.
bool plot_isoflop_curves(struct arena *arena, const struct plot_isoflop *data, struct figure *figure);
bool plot_isoflop_optima(struct arena *arena, const struct plot_isoflop *data, struct figure *figure);
