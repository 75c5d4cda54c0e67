/* A sanitized worker, linked with --wrap: its allocator cannot promise to ask for no more memory. */
int __wrap_mallopt(int what, int value);
int __wrap_mallopt(int what, int value)
{
	return 1;
}
