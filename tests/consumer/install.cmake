# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the build folder BUILD into PREFIX, from nothing, so that a file that is no longer installed is not found.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} COMMAND_ERROR_IS_FATAL ANY)
