// A model's device memory on the host, in float32 whatever type it has there.
#pragma once
#include "trainer/model.h"

// `count` values of `dtype` at `from`, device memory, as floats. Waits for what was asked before. False with the
// device's error.
bool model_read(struct model *model, const void *from, enum dtype dtype, int64_t count, float *out,
                struct error *error);
// The same back: `count` floats to device memory, rounded to nearest where dtype is narrower.
void model_write(struct model *model, void *to, enum dtype dtype, int64_t count, const float *values);
// The head's matrix [vocabulary, width], rounded to the products' type where that is narrower, as the loss takes it.
bool model_read_head(struct model *model, float *head, struct error *error);
