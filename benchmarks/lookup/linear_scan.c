/* SPDX-License-Identifier: BSD-3-Clause */
#include "linear_scan.h"

#include <stddef.h>

static const uint32_t any = 0xffffffff;

const struct linear_id *linear_scan(const struct linear_id *ids, const struct linear_device *device)
{
    for (; ids->vendor || ids->subvendor || ids->class_mask; ids++)
        if ((ids->vendor == any || ids->vendor == device->vendor) &&
            (ids->device == any || ids->device == device->device) &&
            (ids->subvendor == any || ids->subvendor == device->subvendor) &&
            (ids->subdevice == any || ids->subdevice == device->subdevice) &&
            !((ids->class_code ^ device->class_code) & ids->class_mask))
            return ids;
    return NULL;
}
