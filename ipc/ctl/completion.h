/* Completion scripts for shells, made of the tables of verbs. */
#ifndef NATLOCK_CTL_COMPLETION_H
#define NATLOCK_CTL_COMPLETION_H

#include <stdbool.h>
#include <stdio.h>

/* The script for bash, zsh or fish; false for another shell. */
bool completion_print(FILE *out, const char *shell);

#endif
