// TensorBoard's event files: records with checksums (TFRecord), each an Event of TensorFlow's protocol buffers with one
// step's numbers. Only what a curve needs of both is written here.
//
// Formats: tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of it, bytes, masked CRC-32C of them),
// tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto (field numbers).
#pragma once
#include <stdint.h>

#include "base/base.h"

// One number of a step: "train/loss". TensorBoard keeps it in single precision.
struct event_value {
  const char *tag;
  double value;
};

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of the bytes.
uint32_t event_file_crc(const void *bytes, size_t length);
// Adds the record that every event file begins with. time: seconds since 1970.
void event_file_begin(struct text *out, double time);
// Adds the record of one step.
void event_file_add(struct text *out, double time, int64_t step, const struct event_value *values, size_t count);
// Reads what was written before, up to the first record that is torn or damaged. last_step[i] gets the last step of
// events whose first tag begins with prefixes[i], -1 without one. Returns the bytes that are whole records.
size_t event_file_read(const void *bytes, size_t length, const char *const *prefixes, size_t count, int64_t *last_step);
