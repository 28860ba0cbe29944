/* SPDX-License-Identifier: MIT
 * Stands for runc: writes its arguments to /runc-arguments, one a line. */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *file = fopen("/runc-arguments", "w");

	if (!file)
		return 1;
	for (int i = 1; i < argc; i++)
		fprintf(file, "%s\n", argv[i]);
	return fclose(file) != 0;
}
