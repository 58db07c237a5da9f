// A command of the user's that is told what happened: a JSON document on its standard input.
#pragma once
#include "base/base.h"

// Begins `sh -c COMMAND` with the document on its standard input and its output on our standard error. It does not
// hold anything up: with `seconds` it is waited for so long, else not at all. False with an error when it could not be
// begun, ended with another exit code than 0, or is still at work then (it is left to that).
bool send_document(const char *command, const char *document, double seconds, struct error *error);
