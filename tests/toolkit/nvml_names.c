/* SPDX-License-Identifier: MIT
 * What nvidia-ctk asks of NVML beyond what the device plugin does, for the same three cards. */
#include "../plugin/nvml_standin.c"

int nvmlDeviceGetName(void *handle, char *name, unsigned length)
{
	return check(handle) ? check(handle) : put(name, length, "NVIDIA Stand-in");
}
