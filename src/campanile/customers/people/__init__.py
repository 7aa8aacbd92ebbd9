"""One person, one record: several records of one customer are recognised, merged reversibly and shown as one."""
