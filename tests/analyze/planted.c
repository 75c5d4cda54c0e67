/* Defects on purpose, for `analyze.py --self-check`: each marked line must be named by the tools that it says. No build has this file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void planted_double_free(char *p);
int planted_null(int *p);
char *planted_leak(int n);
int planted_bound(void);
uint8_t planted_narrow(const uint8_t *at, int n);
unsigned planted_depth(const uint8_t *at, unsigned n);
uint64_t planted_widening(uint32_t a, uint32_t b);
int planted_unset(int n);
void planted_unchecked(unsigned n);

void planted_double_free(char *p)
{
	free(p);
	free(p); /* planted: gcc analyzer-double-free, clang-tidy clang-analyzer-unix.Malloc, cppcheck doubleFree */
}

int planted_null(int *p)
{
	if (!p)
		printf("%d\n", *p); /* planted: gcc analyzer-null-dereference, clang-tidy clang-analyzer-core.NullDereference, cppcheck nullPointerRedundantCheck */
	return 0;
}

char *planted_leak(int n)
{
	char *text = malloc(10);
	if (n < 0)	     /* planted: gcc analyzer-malloc-leak */
		return NULL; /* planted: clang-tidy clang-analyzer-unix.Malloc, cppcheck memleak */
	return text;
}

int planted_bound(void)
{
	int four[4] = {0};
	return four[4]; /* planted: gcc analyzer-use-of-uninitialized-value, cppcheck arrayIndexOutOfBounds */
}

uint8_t planted_narrow(const uint8_t *at, int n)
{
	int8_t length = 0;
	for (uint8_t i = 0; i < n; i++) /* planted: clang-tidy bugprone-too-small-loop-variable */
		length += at[i] * n; /* planted: clang-tidy bugprone-narrowing-conversions */
	return (uint8_t)length;
}

unsigned planted_depth(const uint8_t *at, unsigned n) /* planted: clang-tidy misc-no-recursion */
{
	return n && *at == '(' ? 1 + planted_depth(at + 1, n - 1) : 0;
}

uint64_t planted_widening(uint32_t a, uint32_t b)
{
	return a * b; /* planted: clang-tidy bugprone-implicit-widening-of-multiplication-result */
}

int planted_unset(int n)
{
	int value;
	if (n > 3)
		value = n;
	return value; /* planted: gcc analyzer-use-of-uninitialized-value, clang-tidy clang-analyzer-core.uninitialized.UndefReturn, cppcheck uninitvar */
}

void planted_unchecked(unsigned n)
{
	setresuid(n, n, n); /* planted: clang-tidy bugprone-unused-return-value */
	strdup("lost");	    /* planted: clang-tidy bugprone-unused-return-value */
}
