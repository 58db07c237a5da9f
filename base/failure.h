// A failed command, or a failed part of one, as data.
#pragma once
#include "base/error.h"

struct json_writer;
// Members of an object: ok (false), exit_code, error, hint (or null), diagnostics (those that the error tells of).
void failure_json(const struct error *error, struct json_writer *json);
