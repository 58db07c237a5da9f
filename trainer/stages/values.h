// A model's parameters on the host, in float32, whatever type the device keeps them in.
#pragma once
#include "trainer/model.h"

struct model_values {
  struct arena arena;
  struct parameter_table table;  // of the model that they come from, in the arena
  float *values;                 // [table.count]
};

// Reads all parameters of the model; values_free in either case.
bool values_read(struct model_values *values, struct model *model, struct error *error);
// A copy; the table's names are the original's.
bool values_copy(struct model_values *copy, const struct model_values *values);
// Writes them into the model, tensor by name: every tensor of the model must be there and have the same shape.
bool values_write(const struct model_values *values, struct model *model, struct error *error);
// The same, but learned scales that are not there stay as they are in the model.
bool values_write_known(const struct model_values *values, struct model *model, struct error *error);
// The tensor of that name, or NULL.
const struct parameter_tensor *values_find(const struct model_values *values, const char *name);
void values_free(struct model_values *values);
