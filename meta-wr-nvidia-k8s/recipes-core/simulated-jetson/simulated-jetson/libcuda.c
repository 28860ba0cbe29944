/* SPDX-License-Identifier: MIT
 *
 * The few functions of the CUDA driver API by which programs, and NVIDIA's container runtime, ask for the driver and
 * its GPUs: there is a driver, and no GPU. Signatures and results are those of the CUDA Driver API's documentation.
 */

enum { CUDA_SUCCESS = 0, CUDA_ERROR_INVALID_VALUE = 1, CUDA_ERROR_NO_DEVICE = 100 };

int cuInit(unsigned int flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);

int cuInit(unsigned int flags)
{
	return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NO_DEVICE;
}

int cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = 12060; /* 12.6, as JetPack 6 has it */
	return CUDA_SUCCESS;
}

int cuDeviceGetCount(int *count)
{
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = 0;
	return CUDA_SUCCESS;
}

int cuDeviceGet(int *device, int ordinal)
{
	(void)device;
	(void)ordinal;
	return CUDA_ERROR_NO_DEVICE;
}
