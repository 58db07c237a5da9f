// Task `descent`: gradient descent on a quadratic, the worked example of docs/tasks.md.
#pragma once
#include <stdint.h>

// f(x) = sum of l_i x_i^2 / 2 over `dimension` eigenvalues l_i from 1 to `condition`, evenly in the logarithm.
struct descent {
  const char *method;  // "gradient", "momentum"
  int64_t dimension, most_steps;
  double condition, tolerance, rate;  // rate NAN: auto
};
