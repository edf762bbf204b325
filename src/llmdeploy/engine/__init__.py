"""What runs on the hosts: the release engine, the state of a host, checks. Standard library and the Docker SDK only.

Inside the package imports are relative, because Ansible ships it as `ansible.module_utils.engine`.
"""
